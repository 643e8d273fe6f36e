//! The demo: three nodes, each BEAM or Rust, and an application that moves between them as they die and come back.
//!
//! `cargo xtask demo` builds all that this needs and starts it. It exits with 0 only if every step was seen.

#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, reason = "the demo draws its timeline on stdout")]

use std::{path::PathBuf, process::ExitCode};

use clap::{Parser, ValueEnum};
use interop_tests::{Cluster, Otp};

mod application;
mod controller;
mod member;
mod steps;
mod timeline;

use application::Application;
use controller::Controller;
use member::{Kind, Member};
use steps::Demo;
use timeline::Timeline;

#[derive(Parser)]
#[command(name = "demo", about = "An application that moves between BEAM and Rust nodes")]
struct Arguments {
    /// What a, b and c are: `beam` or `rust` each.
    #[arg(long, value_delimiter = ',', default_value = "beam,rust,beam")]
    nodes: Vec<Kind>,
    /// The application.
    #[arg(long, value_enum, default_value = "m8ball")]
    app: Application,
    /// The OTP release of the BEAM nodes; the newest on this host if not given.
    #[arg(long)]
    otp: Option<u32>,
    /// The folder of the kernel configs.
    #[arg(long, default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/../config"))]
    config: PathBuf,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let Ok(kinds) = <[Kind; 3]>::try_from(arguments.nodes.clone()) else {
        eprintln!("demo: --nodes takes three kinds, as in --nodes beam,rust,beam");
        return ExitCode::from(2);
    };
    let otp = kinds.contains(&Kind::Beam).then(|| arguments.otp.map_or_else(Otp::newest, Otp::release));
    let application =
        arguments.app.to_possible_value().expect("no application is hidden").get_name().to_owned();
    let nodes = kinds.map(|kind| kind.describe(otp.as_ref())).join(", ");
    println!("{application} on a, b, c: {nodes}\n");

    // BEAM nodes find each other as they always do. Rust nodes alone need nothing of Erlang, EPMD included.
    let cluster = otp.as_ref().map_or_else(Cluster::without_epmd, Cluster::new);
    let timeline = Timeline::new(kinds);
    let result = Controller::start(&cluster).and_then(|controller| {
        let members = ["a", "b", "c"].into_iter().zip(kinds).map(|(name, kind)| {
            Member::new(
                name,
                kind,
                &application,
                arguments.config.join(format!("{name}.config")),
                otp.clone(),
            )
        });
        Demo::new(&cluster, &timeline, arguments.app, controller, members.collect()).run()
    });
    match result {
        Ok(summary) => {
            timeline.close();
            println!("\nevery step was seen: {summary}");
            ExitCode::SUCCESS
        }
        Err(failure) => {
            timeline.close();
            println!("\nFAILED: {failure}");
            ExitCode::FAILURE
        }
    }
}
