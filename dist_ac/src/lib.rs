//! Distributed OTP applications owned by Rust nodes.
//!
//! A Rust program is a full peer of Erlang's `dist_ac`: it stands by for applications that run on other nodes of the
//! cluster, starts them when their node dies, takes them over, and gives them up to nodes that go before it.
//!
//! ```no_run
//! # use crabnode::{Context, Node, NodeConfig, Term};
//! use crabnode_dist_ac::{Application, Builder, RestartType, Spec, Start, Started, SysConfig};
//!
//! struct MyApp;
//!
//! impl Application for MyApp {
//!     async fn start(&self, context: &mut Context, start: Start) -> Result<Started, Term> {
//!         println!("{} starts: {}", start.app, start.start_type.to_term());
//!         let body = |mut context: Context| async move { context.receive().await; };
//!         context.spawn_link(Default::default(), body).map(Started::new).map_err(|_| Term::atom("taken"))
//!     }
//! }
//!
//! # async fn f() -> Result<(), Box<dyn std::error::Error>> {
//! // [{kernel, [{distributed, [{my_app, 5000, [a@h, {b@h, c@h}]}]}, ...]}].
//! let config = SysConfig::read("config/b")?;
//! let node = Node::start(config.apply(NodeConfig::new("b@h"))?).await?;
//! let spec = Spec::from_term(&etf::text::parse_term("{application, my_app, [{mod, {my_app, []}}]}")?)
//!     .expect("a specification");
//! let applications = Builder::new(config)?.application(spec, MyApp).start(&node)?;
//! applications.boot().await?; // waits for the nodes that the configuration names
//! applications.start("my_app", RestartType::Temporary).await.expect("it runs here, or elsewhere");
//! # Ok(())
//! # }
//! ```
//!
//! | module | what |
//! |---|---|
//! | [`config`] | `sys.config`, and what `kernel` means by its parameters |
//! | [`startup`] | waiting for other nodes before anything starts |
//! | [`application`] | `.app` files, the application controller, the application master |
//! | [`engine`] | `dist_ac`: which node runs what |
//! | [`events`] | what happens to applications and why, for programs |
//! | [`exchange`] | what the application controller and `dist_ac` say to each other |
//! | [`heal`] | what is mended of the faults of stock nodes |
//! | [`flags`] | the flags of every program that is a node |
//! | [`handover`] | what an application knows, on its way to the next owner |
//!
//! [`config`], [`startup`], [`engine`] and the application controller are values without clocks, sockets and tasks;
//! [`Applications`] is the one part that runs them on a [`crabnode::Node`].
#![forbid(unsafe_code)]

pub mod application;
pub use application::{
    RestartType, StartType,
    master::{Application, Start, Started},
    spec::Spec,
};
pub mod config;
pub use config::SysConfig;
pub mod engine;
pub mod events;
pub use events::{Event, Events};
pub mod exchange;
pub mod flags;
pub mod handover;
pub mod heal;
pub use heal::Heal;
mod service;
pub use service::{Applications, BootError, Builder};
pub mod startup;
