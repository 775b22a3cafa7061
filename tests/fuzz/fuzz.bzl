"""fuzz_target: one parser of octets from outside, fuzzed two ways."""

def fuzz_target(name, deps):
    """From NAME_fuzz.cc with LLVMFuzzerTestOneInput, and the inputs kept in corpus/NAME/:

    NAME_fuzz       a libFuzzer program, for `bazel run --config=fuzz //tests/fuzz:NAME_fuzz -- DIR`;
    NAME_fuzz_test  a test that needs no clang: the kept inputs, and what a few thousand mutations make of them.
    """
    corpus = native.glob(["corpus/%s/*" % name])
    native.cc_binary(
        name = name + "_fuzz",
        testonly = True,
        srcs = [name + "_fuzz.cc"],
        linkopts = ["-fsanitize=fuzzer"],
        tags = ["manual"],  # gcc has no libFuzzer
        deps = deps,
    )
    native.cc_test(
        name = name + "_fuzz_test",
        size = "small",
        srcs = [
            "corpus_test.cc",
            name + "_fuzz.cc",
        ],
        args = ["$(locations %s)" % path for path in corpus],
        data = corpus,
        deps = deps + [
            "//third_party/abseil:strings",
            "//third_party/googletest:gtest_main",
        ],
    )
