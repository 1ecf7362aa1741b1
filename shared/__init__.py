"""What every function needs: jobs, stores, leases, authentication, settings, logs and the HTTP border.

The whole package is copied into each deployed function. It never imports `functions`.
"""
