"""Files of other systems: reading CSV and XLSX row by row, and what may be wrong with a cell."""
