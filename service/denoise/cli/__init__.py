"""The command `denoise`: its options, what it prints, a running service as something to call, and the doctor."""
