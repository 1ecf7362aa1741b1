"""The HTTP border: the endpoint of every function, authentication, and requests to the outside."""
