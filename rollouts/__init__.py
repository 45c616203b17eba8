"""How answers are produced: generators, rendering, the turn loop."""
