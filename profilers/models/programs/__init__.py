"""Programs that a file holds whole: TorchScript, torch.export, AOTInductor."""
