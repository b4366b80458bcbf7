"""How good a frame is: metrics, their scale, the gate."""
