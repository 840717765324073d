"""DALI as operations of TensorFlow: only a name here."""
