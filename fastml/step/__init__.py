"""The compiled training step: layers write a plan, which becomes a program; nn.compile_step is its face."""
