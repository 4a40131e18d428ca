# The fan of an ACME router, as an example of a vendor's objects. The daemon `acmed` answers on ubus as `acme.fan`,
# sends the event `acme.fan.overheat`, and is configured in /etc/config/acme.

live ubus acme.fan status on event acme.fan.*

object Device.X_ACME_Fan.
  when uci acme.fan.mode
  let status = ubus acme.fan status

  # UCI: written by a controller, committed with everything else of its message.
  Mode string rw             = uci acme.fan.mode
  # ubus: asked for once, however many parameters come of it.
  Speed unsignedInt          = $status /rpm
  Healthy boolean            = $status /state | map ok:true *:false
  # A file of the kernel, in thousandths of a degree.
  Temperature int            = file /sys/class/thermal/thermal_zone0/temp | div 1000
  # A command is a call on ubus.
  SelfTest()                 = ubus acme.fan self_test
  # An event on ubus becomes one of the data model, its data the arguments.
  Overheat!                  = event acme.fan.overheat Temperature /temperature Sensor /sensor/name

# Rows are sections of UCI; a controller may add and delete them.
table Device.X_ACME_Fan.Curve.{i}. rw keys Name
  each uci acme.curve
  Name string rw             = option name
  Temperature unsignedInt rw = option temperature
  Speed unsignedInt rw       = option speed
