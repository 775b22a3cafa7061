"""The part of rules_cc that Bazel 4.2's own repositories load: the native rules, by their rules_cc names."""

cc_binary = native.cc_binary
cc_import = native.cc_import
cc_library = native.cc_library
cc_proto_library = native.cc_proto_library
cc_test = native.cc_test
cc_toolchain = native.cc_toolchain
cc_toolchain_suite = native.cc_toolchain_suite
fdo_prefetch_hints = native.fdo_prefetch_hints
fdo_profile = native.fdo_profile
objc_import = native.objc_import
objc_library = native.objc_library

def _no_op_impl(ctx):
    return []

_no_op = rule(implementation = _no_op_impl)

def cc_flags_supplier(name, **_):
    _no_op(name = name)

def compiler_flag(name, **_):
    _no_op(name = name)
