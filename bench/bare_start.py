"""What SDKs cost a bare process when it starts: writes the seconds of their import, and of connecting to Firestore.

    python -P bench/bare_start.py google.cloud.firestore pyairtable

Nothing else is imported before. Connecting is what the first query takes longer than the second.
"""

import sys
import time
from importlib import import_module

began = time.perf_counter()
for module in sys.argv[1:]:
    import_module(module)
imported = time.perf_counter()

from google.cloud import firestore  # noqa: E402  # by now it costs nothing

client = firestore.Client()
client.document("bench/nothing").get()
connected = time.perf_counter()
client.document("bench/nothing").get()
again = time.perf_counter()

sys.stdout.write(f"{imported - began} {(connected - imported) - (again - connected)}")
