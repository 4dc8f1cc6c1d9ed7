"""LoRAP: attention as low-rank factors, feed-forward channels by a score without gradients."""
