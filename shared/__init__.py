"""What every function needs: jobs, stores, leases, authentication, settings, logs and the HTTP border.

The whole package is copied into each deployed function. It never imports `functions`.
"""

import gc

# What a start imports stays for good, and a search through it for garbage takes up to 20 ms. No function makes 150,000
# objects until it has answered for the first time, so none of them searches before.
gc.set_threshold(150_000, 10, 10)
