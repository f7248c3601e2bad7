"""Toys on a turntable: their forms, how rays meet them, how they are lit."""
