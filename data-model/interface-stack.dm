# What stands on what: the LowerLayers of every interface object that is mapped, from either end.

table Device.InterfaceStack.{i}.
  each native stack.rows

  HigherLayer = item /higher
  LowerLayer  = item /lower
  HigherAlias = item /higher_alias
  LowerAlias  = item /lower_alias
