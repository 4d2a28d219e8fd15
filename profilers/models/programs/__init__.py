"""Open complete programs: TorchScript, torch.export, AOTInductor."""
