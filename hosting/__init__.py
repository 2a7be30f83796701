"""Running Inlook for many: several processes behind one address, and files for servers."""
