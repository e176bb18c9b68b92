"""What node files share: loaders, inputs, values."""
