//! `.app` files in folders, as `application:load/1` finds them on the code path.
//!
//! They are read once, when the node starts; OTP reads one at each load. One that cannot be read is kept as the error
//! that its load gives.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use etf::{Atom, Term, text::consult_bytes, tuple};

use super::spec::Spec;

/// A larger file is refused. Those of OTP have a few KiB.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// More files of one folder are not looked at: a folder with so many is none of applications.
const FILES_MAX: usize = 10_000;

/// The applications in these folders, or why one cannot be loaded; where two folders have one, that of the first.
pub(crate) fn find(folders: &[PathBuf]) -> BTreeMap<Atom, Result<Spec, Term>> {
    let mut found = BTreeMap::new();
    for folder in folders {
        let entries = match fs::read_dir(folder) {
            Ok(entries) => entries,
            Err(error) => {
                // As on OTP's code path, a folder that is not there has nothing in it.
                tracing::warn!(?folder, %error, "no applications from there");
                continue;
            }
        };
        for path in entries.flatten().map(|entry| entry.path()).take(FILES_MAX) {
            if path.extension().is_some_and(|ending| ending == "app")
                && let Some(name) = path.file_stem().and_then(|name| name.to_str())
                && let Ok(name) = Atom::try_new(name)
            {
                found.entry(name).or_insert_with(|| read(&path));
            }
        }
    }
    found
}

fn read(path: &Path) -> Result<Spec, Term> {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let fault = |text: String| tuple!(Term::charlist(&text), Term::charlist(name));
    let bytes = read_bytes(path).map_err(|error| fault(error.to_string()))?;
    let terms = consult_bytes(&bytes).map_err(|error| fault(error.to_string()))?;
    match terms.as_slice() {
        [term] => Spec::from_term(term),
        terms => Err(tuple!(atom "bad_application", Term::list(terms.to_vec()))),
    }
}

fn read_bytes(path: &Path) -> io::Result<Vec<u8>> {
    let size = fs::metadata(path)?.len();
    if size > FILE_BYTES_MAX {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("{size} bytes")));
    }
    fs::read(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_read_as_they_are() {
        let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
        let text = "%% coding: utf-8\n{application, one,\n [{vsn, \"1\"}, %% and so on\n  {env, [{a, 'B'}]},\n  \
                    {included_applications, [two]},\n  {runtime_dependencies, [\"kernel-8.0\"]}]}.\n";
        fs::write(folders[0].path().join("one.app"), text).unwrap();
        fs::write(folders[0].path().join("notes.txt"), "nothing").unwrap();
        fs::write(folders[1].path().join("one.app"), "{application, one, []}.").unwrap();
        fs::write(folders[1].path().join("two.app"), "{application, two, [").unwrap();
        fs::write(folders[1].path().join("three.app"), "{application, three, [{mod, 1}]}.").unwrap();
        let paths = folders.each_ref().map(|folder| folder.path().to_owned());
        let found = find(&paths);
        assert_eq!(found.len(), 3);
        let one = found["one"].as_ref().unwrap();
        assert_eq!((one.env.len(), one.included_applications.len()), (1, 1), "that of the first folder");
        let fault = found["two"].as_ref().unwrap_err().as_tuple().unwrap();
        assert_eq!(fault[1], Term::charlist("two.app"));
        assert_eq!(*found["three"].as_ref().unwrap_err(), tuple!(atom "badstartspec", 1));
        assert!(find(&[paths[0].join("nothing_there")]).is_empty());
    }
}
