"""Where jobs are kept: the protocol of a store, its documents, and the two stores."""
