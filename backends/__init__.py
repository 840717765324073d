"""The code inside benchmark images: the networks, the harness and one package per framework."""
