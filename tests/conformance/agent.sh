#!/bin/sh
# usp-agent for the conformance runner's --agent-command: what the environment says, as /etc/config/usp-agent.
# docs/CONFORMANCE.md explains the variables; USP_AGENT is the program, and set by the runner.
set -eu
dir=$USP_STATE_DIR

# tell NAME ID PORT ROLE: a controller; the other facts are in $host and so on.
tell() {
    s=
    if [ -n "${USP_CA_FILE-}" ]; then s=s; fi
    echo "config controller '$1'"
    echo " option EndpointID '$2'"
    case $USP_TRANSPORT in
    ws) echo " option url 'ws$s://$host:$3$path'" ;;
    ws-server) if [ "$1" = first ]; then echo " option url 'listen ws$s://127.0.0.1:$3$path'"; fi ;;
    uds) echo " option url 'unix://$socket'" ;;
    uds-server) if [ "$1" = first ]; then echo " option url 'listen unix://$socket'"; fi ;;
    mqtt*)
        echo " option url 'mqtt$s://$host:$3/$controller_topic'"
        echo " option ResponseTopicConfigured '$agent_topic'"
        echo " option ClientID '$client'"
        if [ "$USP_TRANSPORT" = mqtt311 ]; then echo " option ProtocolVersion 3.1.1"; fi
        ;;
    stomp)
        echo " option url 'stomp$s://$host:$3$controller_topic'"
        echo " option ResponseTopicConfigured '$agent_topic'"
        ;;
    esac
    if [ -n "$s" ]; then
        echo " option ca_file '$USP_CA_FILE'"
        echo " option certificate '$USP_CERTIFICATE'"
        echo " option key '$USP_KEY'"
    else
        echo " option AllowUnencrypted 1"
    fi
    if [ -n "$4" ]; then echo " list role $4"; fi
    echo
}

mkdir -p "$dir/config" "$dir/state" "$dir/root"
if [ ! -e "$dir/config/usp-agent" ]; then
    {
        echo "config localagent"
        echo " option EndpointID '$USP_AGENT_ID'"
        echo
        host=$USP_HOST path=${USP_PATH-} controller_topic=${USP_CONTROLLER_TOPIC-} agent_topic=${USP_AGENT_TOPIC-}
        client=${USP_CLIENT_ID-} socket=${USP_SOCKET-}
        tell first "$USP_CONTROLLER_ID" "${USP_PORT-}" full
        if [ -n "${USP_SECOND_CONTROLLER_ID-}" ]; then
            host=$USP_SECOND_HOST path=${USP_SECOND_PATH-} controller_topic=${USP_SECOND_CONTROLLER_TOPIC-}
            agent_topic=${USP_SECOND_AGENT_TOPIC-} client=${USP_SECOND_CLIENT_ID-} socket=${USP_SECOND_SOCKET-}
            tell second "$USP_SECOND_CONTROLLER_ID" "${USP_SECOND_PORT-}" "${USP_SECOND_ROLE-}"
        fi
    } >"$dir/config/usp-agent"
fi
exec "$USP_AGENT" run --log-level debug --config-dir "$dir/config" --state-dir "$dir/state" --root "$dir/root" \
    --ubus "$dir/no-ubus"
