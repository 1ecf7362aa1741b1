"""Example agents. None is used unless you name it in CHAT_AGENT and install what it imports."""
