# What OpenWrt's /lib/functions.sh does for a package, as far as ours needs it, in a root that stands for the router.
root=$IPKG_INSTROOT
files_of() { cat "$root/lib/apk/packages/usp-agent.list" "$root/usr/lib/opkg/info/usp-agent.list" 2>/dev/null; }
service() {
	for script in $(files_of | grep '^/etc/init.d/'); do
		sh "$root/etc/rc.common" "$root$script" "$1"
	done
}
default_postinst() {
	for script in $(files_of | grep '^/etc/uci-defaults/'); do
		( [ -f "$root$script" ] && . "$root$script" ) && rm -f "$root$script"
	done
	[ "$PKG_UPGRADE" = 1 ] || service enable
	service start
}
default_prerm() {
	[ "$PKG_UPGRADE" = 1 ] || service disable
	service stop
}
