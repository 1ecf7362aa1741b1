"""Running what is due: the tick, its backlog, its threads, its failure notices."""
