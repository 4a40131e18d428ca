# easycwmp, a client of TR-069 beside this agent.

object Device.CWMPManagementServer.
  when uci easycwmp.@local[0].enable

  EnableCWMP = uci easycwmp.@local[0].enable
