"""ALchemist's HTTP API: programs and the page written for it, on the flow that robots use. Begin with `app`."""
