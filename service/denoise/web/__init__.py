"""HTTP in, HTTP out: routes, the Open Inference Protocol, bodies, answers, problems, and the pages."""
