"""The tests have a Firestore of their own."""

import pytest
from google.cloud import firestore


@pytest.mark.emulator
@pytest.mark.usefixtures("firestore_emulator")
def test_what_is_written_can_be_read_back() -> None:
    """A client with nothing but a project reaches the emulator and reads what it wrote."""
    document = firestore.Client(project="test").collection("emulator").document("greeting")

    document.set({"text": "good morning"}, retry=None, timeout=10)

    assert document.get(retry=None, timeout=10).to_dict() == {"text": "good morning"}
