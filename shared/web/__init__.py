"""The HTTP border: the endpoint of every function, authentication, and outgoing requests."""
