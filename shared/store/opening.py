"""Opens the store that the settings ask for, importing its SDK only then."""

from collections.abc import Callable
from datetime import datetime

from shared.errors import StoreUnavailable
from shared.settings import Settings
from shared.store.protocol import Store


def open_store(settings: Settings, clock: Callable[[], datetime]) -> Store:
    """Open the configured job store. Raises StoreUnavailable when there are no credentials to open it with."""
    if settings.storage == "json":
        from shared.store.json_file import JsonStore

        return JsonStore(settings.json_path, clock, kept=settings.history)
    from google.auth.exceptions import DefaultCredentialsError
    from google.cloud import firestore

    from shared.store.firestore import FirestoreStore

    try:
        client = firestore.Client(project=settings.project or None, database=settings.database)
    except (DefaultCredentialsError, OSError) as exc:
        raise StoreUnavailable(
            f"Firestore cannot be opened ({exc}); set GOOGLE_CLOUD_PROJECT and sign in with "
            "`gcloud auth application-default login`"
        ) from exc
    return FirestoreStore(client, settings.collection, kept=settings.history)
