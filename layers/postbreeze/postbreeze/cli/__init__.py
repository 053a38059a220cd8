"""The operator's command line. It needs the ``cli`` extra: ``pip install 'postbreeze[cli]'``."""
