# What openwrt-package/Makefile takes from the feed's rust-package.mk, for cross/package: nothing, cross/build compiles.
RUST_ARCH_DEPENDS:=
RustBinPackage=
