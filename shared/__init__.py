"""What every function needs: jobs, stores, leases, authentication, settings, logs and the HTTP border.

The whole package is copied into each deployed function. It never imports `functions`.
"""

import gc

# What a start imports stays for good, and a search through it for garbage takes up to 20 ms. No function makes 150,000
# objects until it has answered for the first time, so none of them searches before.
_USUAL = gc.get_threshold()
_AT_START = (150_000, 10, 10)
gc.set_threshold(*_AT_START)


def search_for_garbage() -> None:
    """From now on search as usual, but never through what is there: a failing handler may leave large cycles."""
    if gc.get_threshold() == _AT_START:
        gc.freeze()
        gc.set_threshold(*_USUAL)
