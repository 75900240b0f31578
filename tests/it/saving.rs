//! State files on disk: many writers and readers, killed processes, links, permissions, what is not a file, and memory.

use std::fs;
use std::os::unix::fs::{FileTypeExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use crate::child;
use crate::files::state;
use wgpu_adam::{Error, State};

/// An empty folder for the files of one test.
fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    folder
}

/// The names of the files in a folder, sorted.
fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort_unstable();
    names
}

/// A state with moments of `bytes` bytes, which are all `value`.
fn large(value: u8, bytes: usize) -> State {
    let mut state = state(value.into());
    for tensor in &mut state.tensors {
        tensor.len = bytes as u64 / 4;
        tensor.state.iter_mut().for_each(|moment| moment.bytes = vec![value; bytes]);
    }
    state
}

/// Loads a file until `done`, and returns how often. Each time it must be one of the states.
fn read_until(done: &AtomicBool, path: &Path, states: &[State]) -> usize {
    let mut reads = 0;
    while !done.load(Ordering::Relaxed) {
        let found = State::load(path).unwrap();
        assert!(states.contains(&found), "the file should contain one of the states");
        reads += 1;
    }
    reads
}

#[test]
fn threads_that_save_to_one_path_do_not_disturb_each_other() {
    let folder = folder("threads");
    let path = folder.join("state");
    // The files have different sizes.
    let states: Vec<State> = (1..5).map(|value| large(value, (1 << 14) * usize::from(value))).collect();
    states[0].save(&path).unwrap();
    let done = AtomicBool::new(false);
    let reads: usize = thread::scope(|scope| {
        let readers = [0, 1].map(|_| scope.spawn(|| read_until(&done, &path, &states)));
        let writers: Vec<_> =
            states.iter().map(|state| scope.spawn(|| (0..50).for_each(|_| state.save(&path).unwrap()))).collect();
        let results: Vec<_> = writers.into_iter().map(thread::ScopedJoinHandle::join).collect();
        done.store(true, Ordering::Relaxed);
        results.into_iter().for_each(|result| result.unwrap());
        readers.into_iter().map(|reader| reader.join().unwrap()).sum()
    });
    println!("200 saves, {reads} reads");
    assert!(reads > 10, "{reads}");
    assert_eq!(names(&folder), ["state"], "no temporary file is left");
}

/// The test runs itself in another process, in which two threads save until the process is killed.
#[test]
fn a_process_killed_while_saving_leaves_the_old_or_the_new_file() {
    const PATH: &str = "WGPU_ADAM_TEST_SAVE";
    // The states are so large that some kills hit the write.
    let states = [1, 2].map(|value| large(value, 1 << 18));
    if let Ok(path) = std::env::var(PATH) {
        thread::scope(|scope| {
            for state in &states {
                scope.spawn(|| (0..1_000_000).for_each(|_| state.save(&path).unwrap()));
            }
        });
    }
    let folder = folder("killed");
    let path = folder.join("state");
    let (mut seen, mut partial) = ([0, 0], 0);
    let done = AtomicBool::new(false);
    let reads = thread::scope(|scope| {
        let mut reader = None;
        for kill in 0..100_u64 {
            let mut child = child::test(a_process_killed_while_saving_leaves_the_old_or_the_new_file)
                .env(PATH, &path)
                .stdout(Stdio::null())
                .spawn()
                .unwrap();
            // The first kill waits until a file exists. The later ones come at any moment.
            while kill == 0 && !path.exists() {
                thread::sleep(Duration::from_millis(1));
            }
            reader.get_or_insert_with(|| scope.spawn(|| read_until(&done, &path, &states)));
            thread::sleep(Duration::from_micros(20_000 + kill * 7919 % 40_000));
            child.kill().unwrap();
            child.wait().unwrap();
            let found = State::load(&path).unwrap();
            let which = states.iter().position(|state| *state == found);
            seen[which.expect("the file should contain one of the two states")] += 1;
            for left in names(&folder).iter().filter(|name| *name != "state") {
                assert!(left.starts_with("wgpu-adam-") && left.ends_with(".partial"), "{left}");
                partial += u32::from(State::load(folder.join(left)).is_err());
                fs::remove_file(folder.join(left)).unwrap();
            }
        }
        done.store(true, Ordering::Relaxed);
        reader.unwrap().join().unwrap()
    });
    println!(
        "found the first state {} times, the second {} times, and {partial} incomplete temporary files; {reads} reads",
        seen[0], seen[1]
    );
    assert!(seen[0] > 0 && seen[1] > 0, "{seen:?}");
    assert!(partial > 0, "no kill hit a write, so the test has shown nothing");
}

#[test]
fn a_failed_save_is_an_error_and_leaves_no_file() {
    let folder = folder("refused");
    let good = state(3);
    let error = good.save(folder.join("no/such/folder")).unwrap_err().to_string();
    assert!(error.starts_with("writing `") && error.contains("no/such/folder` failed: No such file"), "{error}");
    let error = State::load(folder.join("none")).unwrap_err().to_string();
    assert!(error.starts_with("reading `") && error.contains("none` failed: No such file"), "{error}");
    // An invalid state does not replace a valid file.
    let path = folder.join("good");
    good.save(&path).unwrap();
    let mut invalid = good.clone();
    invalid.groups[0].config.lr = f64::NAN;
    assert!(matches!(invalid.save(&path), Err(Error::Config { .. })));
    assert_eq!(State::load(&path).unwrap(), good);
    assert_eq!(names(&folder), ["good"]);
}

#[test]
fn only_a_regular_file_is_written_or_read() {
    let folder = folder("special");
    let good = state(3);
    let pipe = folder.join("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let socket = folder.join("socket");
    let _listening = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    let link = folder.join("link");
    symlink("/dev/null", &link).unwrap();
    let special = "it is a device, a pipe or a socket, but must be a file";
    let directory = "it is a folder, but must be a file";
    let cases = [
        (&folder, directory),
        (&folder.join("."), directory),
        (&PathBuf::from("/"), directory),
        (&pipe, special),
        (&socket, special),
        (&PathBuf::from("/dev/null"), special),
        (&link, special),
    ];
    for (path, reason) in cases {
        let want = |what| format!("{what} `{}` failed: {reason}", path.display());
        assert_eq!(good.save(path).unwrap_err().to_string(), want("writing"));
        assert_eq!(State::load(path).unwrap_err().to_string(), want("reading"));
    }
    assert!(fs::metadata("/dev/null").unwrap().file_type().is_char_device());
    assert_eq!(names(&folder), ["link", "pipe", "socket"]);
    // Neither are the empty path and a file that is used as a folder.
    for path in [Path::new(""), &folder.join("good/")] {
        assert!(matches!(good.save(path), Err(Error::File { what: "writing", .. })), "{path:?}");
    }
    good.save(folder.join("good")).unwrap();
    for path in [folder.join("good/"), folder.join("good/more")] {
        assert!(matches!(good.save(&path), Err(Error::File { what: "writing", .. })), "{path:?}");
        assert!(matches!(State::load(&path), Err(Error::File { what: "reading", .. })), "{path:?}");
    }
    assert_eq!(State::load(folder.join("good")).unwrap(), good);
    // A file with any other contents may be replaced, but is no state.
    fs::write(folder.join("empty"), "").unwrap();
    let error = State::load(folder.join("empty")).unwrap_err().to_string();
    assert_eq!(error, "invalid optimizer state: not a safetensors file: it has 0 bytes, but must have at least 8");
    good.save(folder.join("empty")).unwrap();
    assert_eq!(State::load(folder.join("empty")).unwrap(), good);
}

#[test]
fn a_link_is_followed() {
    let folder = folder("links");
    let states = [1, 2, 3, 4].map(state);
    fs::create_dir_all(folder.join("far/away")).unwrap();
    // A link to a file that does not exist yet, and a link to that link.
    symlink("far/away/file", folder.join("link")).unwrap();
    symlink(folder.join("link"), folder.join("far/chain")).unwrap();
    let file = folder.join("far/away/file");
    for (state, path) in states.iter().zip(["link", "link", "far/chain", "far/../link"]) {
        state.save(folder.join(path)).unwrap();
        assert!(fs::symlink_metadata(folder.join("link")).unwrap().is_symlink());
        assert!(fs::symlink_metadata(&file).unwrap().is_file());
        assert_eq!(State::load(&file).unwrap(), *state, "{path}");
        assert_eq!(State::load(folder.join(path)).unwrap(), *state, "{path}");
    }
    assert_eq!(names(&folder.join("far/away")), ["file"]);
    symlink("round", folder.join("round")).unwrap();
    let error = states[0].save(folder.join("round")).unwrap_err().to_string();
    assert!(error.ends_with("round` failed: too many symbolic links"), "{error}");
    assert!(matches!(State::load(folder.join("round")), Err(Error::File { what: "reading", .. })));
    // Another name of the old file keeps its contents.
    fs::hard_link(&file, folder.join("hard")).unwrap();
    states[0].save(&file).unwrap();
    assert_eq!(State::load(folder.join("hard")).unwrap(), states[3]);
}

#[test]
fn a_file_has_the_permissions_of_the_old_one_or_of_any_new_file() {
    let folder = folder("permissions");
    let path = folder.join("state");
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
    fs::write(folder.join("any"), "").unwrap();
    state(1).save(&path).unwrap();
    assert_eq!(mode(&path), mode(&folder.join("any")), "the umask applies");
    for given in [0o600, 0o640, 0o666, 0o444] {
        fs::set_permissions(&path, fs::Permissions::from_mode(given)).unwrap();
        state(2).save(&path).unwrap();
        assert_eq!(mode(&path), given, "{given:o}");
    }
}

#[test]
fn a_file_has_the_same_bytes_as_to_bytes() {
    let path = folder("bytes").join("state");
    for state in [state(0), state(3), large(7, 1 << 18)] {
        state.save(&path).unwrap();
        let bytes = fs::read(&path).unwrap();
        assert!(bytes == state.to_bytes().unwrap());
        assert!(bytes == State::from_bytes(&bytes).unwrap().to_bytes().unwrap());
        assert_eq!(State::load(&path).unwrap(), state);
    }
}

/// The largest memory of this process so far, in bytes. `None` if the system does not say.
fn peak() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(1024 * line.trim().strip_suffix(" kB")?.parse::<u64>().ok()?)
}

/// The test runs itself in another process, whose memory it measures. That process also uses a path without a folder.
#[test]
fn saving_and_loading_need_no_second_copy_in_memory() {
    const INSIDE: &str = "WGPU_ADAM_TEST_MEMORY";
    if std::env::var(INSIDE).is_err() {
        let folder = folder("peak");
        let mut child = child::test(saving_and_loading_need_no_second_copy_in_memory);
        let output = child.env(INSIDE, "1").current_dir(&folder).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        print!("{}", String::from_utf8_lossy(&output.stdout));
        assert_eq!(names(&folder), ["state"]);
        return fs::remove_dir_all(&folder).unwrap();
    }
    let state = large(1, 8 << 20);
    let bytes: u64 =
        state.tensors.iter().flat_map(|tensor| &tensor.state).map(|moment| moment.bytes.len() as u64).sum();
    let Some(begin) = peak() else { return println!("this system does not report the memory of a process") };
    state.save("state").unwrap();
    let saved = peak().unwrap();
    let loaded = State::load("state").unwrap();
    let end = peak().unwrap();
    println!("state {bytes}, peak before {begin}, after saving {saved}, after loading {end} bytes");
    assert!(loaded == state);
    assert!(saved - begin < bytes / 16, "saving took {} bytes", saved - begin);
    assert!(end - saved < bytes + bytes / 16, "loading took {} bytes", end - saved);
}
