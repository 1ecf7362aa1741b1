"""The cost of checking a token at the start of a functions-framework process: the minimum of any check.

    python -P bench/bare_token.py CERTIFICATES_URL TOKEN

fetches the certificates, imports cryptography, and checks the signature; it writes the seconds of that.
"""

import base64
import json
import sys
import time
from http.client import HTTPConnection
from urllib.parse import urlsplit

import functions_framework  # noqa: F401


def decoded(part: str) -> bytes:
    """Decode a part of a token."""
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


began = time.perf_counter()
address = urlsplit(sys.argv[1])
connection = HTTPConnection(address.netloc, timeout=10)
connection.request("GET", address.path)
certificates = json.loads(connection.getresponse().read())

from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15  # noqa: E402
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey  # noqa: E402
from cryptography.hazmat.primitives.hashes import SHA256  # noqa: E402
from cryptography.x509 import load_pem_x509_certificate  # noqa: E402

signed, _, signature = sys.argv[2].rpartition(".")
head = json.loads(decoded(signed.partition(".")[0]))
key = load_pem_x509_certificate(certificates[head["kid"]].encode()).public_key()
assert isinstance(key, RSAPublicKey)
key.verify(decoded(signature), signed.encode(), PKCS1v15(), SHA256())

sys.stdout.write(f"{time.perf_counter() - began}")
