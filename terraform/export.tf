# The columns that Brimful reads, and no others: docs/report.md says what each is for. Don't rename any and don't add a
# WHERE: missing rows show as hours that do not reconcile, and freeze decisions.

locals {
  columns = [
    "bill_payer_account_name",
    "line_item_usage_account_id",
    "line_item_line_item_type",
    "line_item_usage_start_date",
    "line_item_usage_end_date",
    "line_item_product_code",
    "line_item_usage_type",
    "line_item_operation",
    "line_item_resource_id",
    "line_item_usage_amount",
    "line_item_unblended_cost",
    "line_item_currency_code",
    "line_item_line_item_description",
    "pricing_public_on_demand_cost",
    "product_region_code",
    "resource_tags",
    "savings_plan_savings_plan_a_r_n",
    "savings_plan_offering_type",
    "savings_plan_payment_option",
    "savings_plan_region",
    "savings_plan_instance_type_family",
    "savings_plan_start_time",
    "savings_plan_end_time",
    "savings_plan_savings_plan_rate",
    "savings_plan_savings_plan_effective_cost",
    "savings_plan_used_commitment",
    "savings_plan_total_commitment_to_date",
  ]
}

resource "aws_bcmdataexports_export" "this" {
  count    = var.create_export ? 1 : 0
  provider = aws.payer

  export {
    name = var.name

    data_query {
      query_statement = "SELECT ${join(", ", local.columns)} FROM COST_AND_USAGE_REPORT"
      table_configurations = {
        COST_AND_USAGE_REPORT = {
          TIME_GRANULARITY                      = "HOURLY"
          INCLUDE_RESOURCES                     = "TRUE"
          INCLUDE_SPLIT_COST_ALLOCATION_DATA    = "FALSE"
          INCLUDE_MANUAL_DISCOUNT_COMPATIBILITY = "FALSE"
        }
      }
    }

    destination_configurations {
      s3_destination {
        s3_bucket = var.bucket
        s3_prefix = var.prefix
        s3_region = var.bucket_region

        s3_output_configurations {
          overwrite   = "OVERWRITE_REPORT"
          format      = "PARQUET"
          compression = "PARQUET"
          output_type = "CUSTOM"
        }
      }
    }

    refresh_cadence {
      frequency = "SYNCHRONOUS"
    }
  }

  depends_on = [aws_s3_bucket_policy.report]
}
