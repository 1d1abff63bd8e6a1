"""How exact the results are: tools of a checkout, which no wheel has."""
