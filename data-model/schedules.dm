# When there is Wi-Fi: the package wifi_schedule, which OpenWrt's cron carries out.

object Device.Schedules.
  when uci wifi_schedule.@global[0].enabled

  Enable = uci wifi_schedule.@global[0].enabled | default 0

table Device.Schedules.Schedule.{i}.
  each uci wifi_schedule.entry
  new set enabled 0
  new set starttime 00:00
  new set stoptime 00:00
  new set forcewifidown 0

  Enable      = option enabled | default 0
  Status      = native schedule.status
  Day         = native schedule.days
  StartTime   = native schedule.start
  Duration    = native schedule.duration
