# Sockets for controllers on the router itself: views on /etc/config/usp-agent.

table Device.UnixDomainSockets.UnixDomainSocket.{i}.
  each uci usp-agent.unix_socket

  Alias = native row.alias
  Mode  = option Mode | default Listen
  Path  = option Path
       or option Mode | default Listen | map Listen:/var/run/usp/broker_agent_path Connect:/var/run/usp/broker_controller_path
