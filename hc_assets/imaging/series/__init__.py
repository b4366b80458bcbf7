"""What files make together, over all batches: series, stacks, studies."""
