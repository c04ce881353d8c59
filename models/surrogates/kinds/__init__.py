"""The kinds of model of one output, a module each, all with the same face (`face.Kind`)."""
