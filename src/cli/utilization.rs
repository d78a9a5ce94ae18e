//! `brimful utilization`.

use super::args::{RowOutput, UtilizationArgs};
use super::context::Context;
use super::output;
use super::signals::Interrupt;
use crate::analysis::{Window, read_window};
use crate::render::json::UtilizationReport;
use crate::render::utilization_table;
use brimful_cur::columns::Detail;
use brimful_types::Result;

pub(crate) async fn run(args: UtilizationArgs, interrupt: Interrupt) -> Result<u8> {
    let context = Context::new(&args.common, interrupt).await?;
    let window = Window {
        from: args.from.or(args.since.map(|since| context.now - since)),
        to: args.to,
    };
    let progress = context.progress();
    let report = |done, all| progress.update(done, all);
    let options = context.read_options(Detail::Plans, &report);
    let analysis = read_window(&context.access, &options, &context.config, window, context.now).await?;
    drop(progress);
    let document = UtilizationReport::new(&analysis);
    match args.format.output {
        RowOutput::Json => output::print_json(&document)?,
        RowOutput::Yaml => output::print_yaml(&document)?,
        RowOutput::Csv => output::print_csv(&utilization_table::csv(&document)?)?,
        RowOutput::Table => {
            output::print(&utilization_table::render(
                &document,
                &analysis.utilization,
                context.now,
                output::width(),
            ))?;
        }
    }
    if matches!(args.format.output, RowOutput::Table | RowOutput::Csv) && !context.quiet {
        output::print_warnings(&document.warnings);
    }
    Ok(0)
}
