"""Data dirs from and to manifests, tables and datasets."""
