# SPDX-License-Identifier: MIT
"""Every way in which Pulse comes into a project, each with the program of tests/package built and run by it. usage: package.py ROOT [PATTERN]

With PATTERN, those alone whose name it matches. Nothing is downloaded: archives are made here. A way whose tool is not installed is skipped with a word. CXX names the compiler."""
import hashlib
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import sys
import tarfile
import tempfile

root = pathlib.Path(sys.argv[1]).resolve()
compiler = shlex.split(os.environ.get("CXX", "c++"))
work = pathlib.Path(tempfile.mkdtemp(prefix="pulse-package-"))
program = root / "tests/package/main.cpp"
strict = ["-std=c++20", "-Wall", "-Wextra", "-Wpedantic", "-Wshadow", "-Wconversion", "-Werror"]
version = re.search(r"version: '([^']+)'", (root / "meson.build").read_text())[1]
bad = 0


class Failed(Exception):
    pass


def run(*command, env=None, into=None):
    """Its output; Failed with what it printed when it does not end with 0."""
    done = subprocess.run([str(word) for word in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=into or work, timeout=400,
                          env={**os.environ, **(env or {})}, stdin=subprocess.DEVNULL)
    if done.returncode != 0:
        raise Failed(f"{' '.join(str(word) for word in command)}: {done.returncode}\n{done.stdout[-2500:]}")
    return done.stdout


def refused(because, *command, env=None):
    try:
        run(*command, env=env)
    except Failed as failure:
        if re.search(because, re.sub(r"\s+", " ", str(failure))):
            return
        raise
    raise Failed(f"it works, but must not ({because}): {command}")


def same(name, one, other):
    if one != other:
        raise Failed(f"{name} differ")


def way(name, *needs):
    """A case: its function runs at once, in the order of this file."""
    def take(function):
        global bad
        if len(sys.argv) > 2 and not re.search(sys.argv[2], name):
            return function
        absent = [tool for tool in needs if shutil.which(tool) is None]
        if absent:
            print(f"skipped {name}: {' and '.join(absent)} is not installed")
            return function
        try:
            function()
            print(f"ok {name}", flush=True)
        except (Failed, OSError, subprocess.TimeoutExpired) as failure:
            bad += 1
            print(f"not ok {name}\n{failure}", flush=True)
        return function
    return take


def compile_and_run(name, *flags, source=program):
    run(*compiler, *strict, source, "-o", work / name, *flags, "-pthread")
    run(work / name)


def meson_project(name):
    """A copy of the tiny Meson project, with an empty subprojects folder; returns how to build and run it."""
    folder = work / name
    shutil.copytree(root / "tests/package/meson", folder)
    shutil.copy(program, folder)
    (folder / "subprojects/packagefiles").mkdir(parents=True)

    def build(*options):
        run("meson", "setup", folder / "build", folder, "--wrap-mode=forcefallback", *options)
        run("meson", "compile", "-C", folder / "build")
        run(folder / "build/stranger")
    return folder, build


def cmake_project(name, *options):
    """The tiny CMake project, built and run."""
    shutil.copytree(root / "tests/package/cmake", work / name)
    shutil.copy(program, work / name)
    run("cmake", "-S", work / name, "-B", work / name / "build", "-DCMAKE_CXX_FLAGS=" + " ".join(strict[1:]), *options)
    run("cmake", "--build", work / name / "build")
    run(work / name / "build/stranger")


def headers_below(folder):
    return {p.relative_to(folder).as_posix(): p.read_text() for p in sorted((folder / "pulse").rglob("*.hpp"))}


def hana_alone():
    """The headers of Hana in a folder of their own, as somebody has them who has no Boost installed."""
    folder = work / "hana_alone"
    if not folder.exists():
        found = re.search(r"^\s*(\S*/boost/hana/tuple\.hpp)", run("sh", "-c", f"echo '#include <boost/hana/tuple.hpp>' | {shlex.join(compiler)} -std=c++20 -E -x c++ - | sed -n 's/^# [0-9]* \"\\(.*\\)\".*/\\1/p'"), re.M)
        shutil.copytree(pathlib.Path(found[1]).parent, folder / "boost/hana")
        shutil.copy(pathlib.Path(found[1]).parent.parent / "hana.hpp", folder / "boost")
    return folder


@way("the include folder")
def _():
    compile_and_run("plain", f"-I{root / 'include'}")


@way("meson install, with pkg-config", "meson", "pkg-config")
def _():
    run("meson", "setup", work / "meson_build", root, "-Dtests=false", "-Dexamples=false", "--prefix", work / "usr")
    run("meson", "install", "-C", work / "meson_build")
    env = {"PKG_CONFIG_PATH": str(work / "usr/share/pkgconfig")}
    run("pkg-config", f"--exact-version={version}", "pulse", env=env)
    compile_and_run("by_pkg_config", *run("pkg-config", "--cflags", "--libs", "pulse", env=env).split())
    same("the installed headers and those of the tree", headers_below(work / "usr/include"), headers_below(root / "include"))
    same("what is installed to be run and nothing", (work / "usr/bin").exists(), False)


@way("meson install of the tool, where it is asked for", "meson")
def _():
    run("meson", "setup", work / "tool_build", root, "-Dtests=false", "-Dexamples=false", "-Dtools=true", "--prefix", work / "tool_usr")
    run("meson", "install", "-C", work / "tool_build")
    same("the programs that are installed", [p.name for p in (work / "tool_usr/bin").iterdir()], ["pulse-dlq"])
    same("its help", run(work / "tool_usr/bin/pulse-dlq", "--help").startswith("usage: pulse-dlq "), True)


@way("meson install, with find_package of CMake, also after the tree was moved", "meson", "cmake")
def _():
    cmake_project("find_package", "-DWAY=find_package", f"-DPULSE_WANTED={version}", f"-DCMAKE_PREFIX_PATH={work / 'usr'}")
    shutil.copytree(work / "usr", work / "moved")
    cmake_project("find_moved", "-DWAY=find_package", f"-DCMAKE_PREFIX_PATH={work / 'moved'}")
    same("the moved tree and where its headers are found", str(work / "moved/include") in (work / "find_moved/build/CMakeFiles/stranger.dir/flags.make").read_text(), True)


@way("find_package refuses a version that may not fit, and says what is missing", "cmake")
def _():
    major, minor, _ = map(int, version.split("."))
    for other in (f"{major}.{minor + 1}", f"{major + 1}.0"):
        refused("compatible with requested version", "cmake", "-S", work / "find_package", "-B", work / "refused", "-DWAY=find_package", f"-DPULSE_WANTED={other}", f"-DCMAKE_PREFIX_PATH={work / 'usr'}")
    refused("PULSE_HANA_INCLUDE_DIR=DIR where DIR/boost/hana is", "cmake", "-S", work / "find_package", "-B", work / "no_hana", "-DWAY=find_package", f"-DCMAKE_PREFIX_PATH={work / 'usr'}",
            "-DCMAKE_IGNORE_PATH=/usr/include;/usr/local/include")
    refused("PULSE_HANA_INCLUDE_DIR=DIR where DIR/boost/hana is", "cmake", "-S", root, "-B", work / "no_hana_either", "-DCMAKE_IGNORE_PATH=/usr/include;/usr/local/include")


@way("cmake --install, with find_package", "cmake")
def _():
    run("cmake", "-S", root, "-B", work / "cmake_build", f"-DCMAKE_INSTALL_PREFIX={work / 'by_cmake'}")
    run("cmake", "--install", work / "cmake_build")
    cmake_project("find_package_of_cmake", "-DWAY=find_package", f"-DPULSE_WANTED={version}", f"-DCMAKE_PREFIX_PATH={work / 'by_cmake'}")
    same("the installed headers and those of the tree", headers_below(work / "by_cmake/include"), headers_below(root / "include"))


@way("add_subdirectory of a checkout", "cmake")
def _():
    cmake_project("add_subdirectory", "-DWAY=add_subdirectory", f"-DPULSE_CHECKOUT={root}")


def make_dist():
    if not (work / "dist").exists():
        run(sys.executable, root / "tests/scripts/dist.py", root, work / "dist")
    return work / "dist" / f"pulse-{version}.tar.gz"


@way("FetchContent of a release", "cmake", "git")
def _():
    archive = make_dist()
    cmake_project("fetch_content", "-DWAY=FetchContent", f"-DPULSE_ARCHIVE={archive}", f"-DPULSE_HASH={hashlib.sha256(archive.read_bytes()).hexdigest()}")


@way("Meson subproject", "meson")
def _():
    folder, build = meson_project("subproject")
    (folder / "subprojects/pulse").symlink_to(root)
    build()
    lines = (folder / "meson.build").read_text()
    (folder / "meson.build").write_text(lines.replace("dependency('pulse')", "dependency('pulse', include_type: 'system')"))
    run("meson", "setup", folder / "system", folder, "--wrap-mode=forcefallback")
    same("Pulse's headers and headers of the system", re.findall(r"-(I|isystem)\S*subprojects/pulse/include", (folder / "system/build.ninja").read_text()), ["isystem"])


@way("Meson wrap with [provide], its archive checked by its hash", "meson", "git")
def _():
    archive = make_dist()
    folder, build = meson_project("wrap")
    shutil.copy(work / "dist/pulse.wrap", folder / "subprojects")
    shutil.copy(archive, folder / "subprojects/packagefiles")
    build()
    other, build_other = meson_project("wrap_of_another")
    shutil.copy(work / "dist/pulse.wrap", other / "subprojects")
    (other / "subprojects/packagefiles" / archive.name).write_bytes(archive.read_bytes() + b"\0")
    try:
        build_other()
    except Failed as failure:
        same("a changed archive and its refusal", "ncorrect hash" in str(failure), True)
    else:
        raise Failed("an archive with another hash was taken")


@way("a release is the same bytes each time, and its wrap names where it is", "git")
def _():
    make_dist()
    run(sys.executable, root / "tests/scripts/dist.py", root, work / "dist2", "--url", "https://example.org/releases")
    same("two archives", (work / "dist" / f"pulse-{version}.tar.gz").read_bytes(), (work / "dist2" / f"pulse-{version}.tar.gz").read_bytes())
    same("the address", f"source_url = https://example.org/releases/pulse-{version}.tar.gz\n" in (work / "dist2/pulse.wrap").read_text(), True)


@way("Hana from a folder of one's own: Meson, and what it installs; CMake", "meson", "cmake", "pkg-config")
def _():
    folder = hana_alone()
    run("meson", "setup", work / "hana_build", root, "-Dtests=false", "-Dexamples=false", f"-Dhana_include={folder}", "--prefix", work / "hana_usr")
    run("meson", "install", "-C", work / "hana_build")
    flags = run("pkg-config", "--cflags", "--libs", "pulse", env={"PKG_CONFIG_PATH": str(work / "hana_usr/share/pkgconfig")}).split()
    compile_and_run("with_hana", *flags, "-MD", "-MF", work / "with_hana.d")
    same("Hana's folder and what was compiled", f"{folder}/boost/hana/" in (work / "with_hana.d").read_text(), True)
    refused("tuple.hpp", "meson", "setup", work / "hana_wrong", root, "-Dtests=false", "-Dexamples=false", "-Dhana_include=/nowhere", "-Dcpp_args=-nostdinc")
    cmake_project("cmake_hana", "-DWAY=add_subdirectory", f"-DPULSE_CHECKOUT={root}", f"-DPULSE_HANA_INCLUDE_DIR={folder}")
    same("Hana's folder and CMake's flags", str(folder) in (work / "cmake_hana/build/CMakeFiles/stranger.dir/flags.make").read_text(), True)


def archive_of(directory, files, out):
    """An archive as a wrap's source_url would give it, made of files of this system."""
    with tarfile.open(out, "w:gz") as archive:
        for name, path in files.items():
            archive.add(path, f"{directory}/{name}")
    return hashlib.sha256(out.read_bytes()).hexdigest()


def wrap_field(text, name):
    return re.search(rf"^{name} = (.*)$", text, re.M)[1]


@way("the wraps of what the tests need give it where the system has none", "meson")
def _():
    where = {}
    for name, header in {"doctest": "doctest/doctest.h", "fmt": "fmt/core.h"}.items():
        found = re.findall(r"(\S+)/" + re.escape(header), run(*compiler, "-std=c++20", "-M", "-x", "c++", "-include", header, "/dev/null"))
        where[name] = pathlib.Path(found[0]) / name
    doctest_build = work / "doctest.build"  # as the archive has one
    doctest_build.write_text("project('doctest', 'cpp')\ndoctest_dep = declare_dependency(include_directories: include_directories('.'))\nmeson.override_dependency('doctest', doctest_dep)\n")
    files = {"doctest": {"doctest": where["doctest"], "meson.build": doctest_build}, "fmt": {"include/fmt": where["fmt"]}, "hana": {"include/boost": hana_alone() / "boost"}}
    folder = work / "own_wraps"
    shutil.copytree(root / "subprojects/packagefiles", folder / "subprojects/packagefiles")
    for name, contents in files.items():
        text = (root / f"subprojects/{name}.wrap").read_text()
        digest = archive_of(wrap_field(text, "directory"), contents, folder / "subprojects/packagefiles" / wrap_field(text, "source_filename"))
        text = re.sub(r"^source_url = .*\n", "", text, flags=re.M).replace(wrap_field(text, "source_hash"), digest)
        (folder / f"subprojects/{name}.wrap").write_text(text)
    (folder / "main.cpp").write_text("#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN\n#include <doctest/doctest.h>\n#include <pulse/ext/fmt.hpp>\n"
                                     "TEST_CASE(\"all of them\") { CHECK(fmt::format(\"{}\", pulse::EntryId{1, 2}) == \"1-2\"); }\n")
    (folder / "meson.build").write_text("project('own', 'cpp', default_options: ['cpp_std=c++20'])\ninclude = include_directories('" + os.path.relpath(root / "include", folder) + "')\n"
                                        "executable('stranger', 'main.cpp', include_directories: include, dependencies: [dependency('doctest'), dependency('fmt'), dependency('hana')])\n")
    run("meson", "setup", folder / "build", folder, "--wrap-mode=forcefallback")
    run("meson", "compile", "-C", folder / "build")
    run(folder / "build/stranger")


single = work / "single"


def preprocessed(flags, *options):
    return run(*compiler, "-std=c++20", "-E", *options, *flags, "-x", "c++", "-include", "pulse/pulse.hpp", "/dev/null")


@way("the single header gives the compiler the same text, and the same macros, as pulse.hpp")
def _():
    (single / "pulse").mkdir(parents=True)
    (single / "pulse/pulse.hpp").write_text(run(sys.executable, root / "tests/scripts/amalgamate.py", root))
    for options in (["-P"], ["-dM"]):
        one, other = (preprocessed([f"-I{folder}"], *options).split() for folder in (root / "include", single))
        same("the texts", one, other)
        same("its names and pulse.hpp", "InMemoryBackend" in one or "PULSE_VERSION" in one, True)


@way("the single header, with programs of the documentation; it needs the standard library and Hana alone")
def _():
    flags = [f"-I{single}", f"-isystem{hana_alone()}"]
    compile_and_run("by_single", *flags)
    for page in ("README.md", "docs/tutorial/first-consumer.md"):
        code = next(block for block in re.findall(r"```cpp\n(.*?)```", (root / page).read_text(), re.S) if "int main" in block)
        source = work / (pathlib.Path(page).stem + ".cpp")
        source.write_text(code)
        compile_and_run("page", *flags, source=source)
    third = set(re.findall(r"#include <([a-z_]+)/", (single / "pulse/pulse.hpp").read_text())) - {"boost", "sys"}
    same("what it includes, and Hana with the standard library", third, set())


@way("the single header with redis.hpp and metrics as text")
def _():
    (work / "more").mkdir()
    (work / "more/pulse_redis.hpp").write_text(run(sys.executable, root / "tests/scripts/amalgamate.py", root, "redis.hpp", "metrics/prometheus_text.hpp"))
    source = work / "more/main.cpp"
    source.write_text('#include "pulse_redis.hpp"\nint main() { return pulse::RedisUrl::parse("redis://localhost") ? 0 : 1; }\n')
    compile_and_run("more_of_it", source=source)


@way("two versions in one program do not mix: each has its own symbols, and what crosses does not link")
def _():
    abi = re.search(r"namespace pulse::inline (v\w+)", (root / "include/pulse/fwd.hpp").read_text())[1]
    later = work / "later"
    shutil.copytree(root / "include", later)
    for header in later.rglob("*.hpp"):
        header.write_text(header.read_text().replace(f"pulse::inline {abi}", "pulse::inline v9999"))
    window = later / "pulse/core/entry_id.hpp"  # of another layout in that version
    window.write_text(window.read_text().replace("std::uint64_t seq = 0;", "std::uint64_t seq = 0;\n  char added[64] = {};", 1))
    for name, text in {"here.cpp": "#include <pulse/pulse.hpp>\n#include <cstdio>\nint other();\nint main() { return other() == static_cast<int>(sizeof(pulse::EntryId)) + 64 ? 0 : 1; }\n",
                       "there.cpp": "#include <pulse/pulse.hpp>\nint other();\nint other() { return sizeof(pulse::EntryId); }\n",
                       "give.cpp": "#include <pulse/fwd.hpp>\nvoid take(const pulse::Error*);\nint main() { take(nullptr); }\n",
                       "take.cpp": "#include <pulse/fwd.hpp>\nvoid take(const pulse::Error*);\nvoid take(const pulse::Error*) {}\n"}.items():
        (work / name).write_text(text)
    for name, folder in {"here": root / "include", "there": later, "give": root / "include", "take": later}.items():
        run(*compiler, "-std=c++20", "-c", f"-I{folder}", work / f"{name}.cpp", "-o", work / f"{name}.o")
    run(*compiler, work / "here.o", work / "there.o", "-o", work / "both", "-pthread")
    run(work / "both")
    refused(r"undefined reference to .?take\(pulse::", *compiler, work / "give.o", work / "take.o", "-o", work / "crossed")


shutil.rmtree(work)
sys.exit(1 if bad else 0)
