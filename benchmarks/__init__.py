"""What the engine costs, apart from training and beside its peers; results/ holds what was seen."""
