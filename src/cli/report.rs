//! `brimful report`: the plan as a page. Changes nothing in the cluster.

use std::fs;

use super::args::ReportArgs;
use super::context::Context;
use super::history::{lately, recorded};
use super::output;
use super::plan::{plan_on, surroundings};
use super::signals::Interrupt;
use crate::render::headline::Headline;
use crate::render::html;
use crate::render::json::PlanDocument;
use crate::run::{consents, steerable};
use brimful_types::{Error, ErrorKind, Result};

pub(crate) async fn run(args: ReportArgs, interrupt: Interrupt) -> Result<u8> {
    let unwritten = |error| {
        Error::usage(format!("cannot write the page to {}", args.html.display()))
            .source(error)
            .hint("name a file in a folder that exists and may be written: --html FILE (BRIMFUL_HTML)")
    };
    output::writable(&args.html).map_err(unwritten)?;
    let mut context = Context::new(&args.common, interrupt).await?;
    if args.manifests.nodepools.is_none() {
        context = context.about(&args.cluster);
    }
    let (view, known, more) = surroundings(&args.cluster, &args.manifests, &context).await?;
    let run = plan_on(&context, &known, view).await?;
    let proposal = run.propose();
    let document = PlanDocument::new(&run.analysis, &proposal, &more);
    // The state of a cluster was read without its history. The page does without, too.
    let read = match (&args.manifests.nodepools, &args.cluster.state) {
        (None, None) => recorded(&args.cluster, &context.interrupt).await.ok(),
        _ => None,
    };
    let history = &read.as_ref().unwrap_or(&known).history;
    let past = lately(history, &run.analysis, &context.config);
    // What a short report cannot tell is left out.
    let (config, pools) = (&context.config, steerable(&run.view.node_pools, &context.config));
    let further = consents(config, &run.analysis, &pools, &run.identity, context.threads);
    let further = further.await.unwrap_or_default();
    let page = html::render(&document, &run.analysis, &proposal, &past, &further)?;
    fs::write(&args.html, page).map_err(unwritten)?;
    if !context.quiet {
        let headline = Headline::of(&document, proposal.is_frozen());
        let (unused, changes) = (headline.sentence(), headline.changes());
        let place = args.html.display();
        output::print(&format!("{unused}; {changes}. The page is {place}.\n"))?;
    }
    Ok(if proposal.is_frozen() {
        ErrorKind::Frozen.exit_code()
    } else {
        0
    })
}
