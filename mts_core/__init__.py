"""Pure PyTorch library that learns a weight for every training sample by meta-learning."""
