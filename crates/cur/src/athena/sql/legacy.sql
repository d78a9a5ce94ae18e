WITH items AS (
  SELECT
    coalesce("line_item_line_item_type", '') AS line_item_type,
    coalesce("line_item_usage_type", '') AS usage_type,
    coalesce("line_item_operation", '') AS operation,
    coalesce("line_item_product_code", '') AS product_code,
    coalesce("savings_plan_savings_plan_a_r_n", '') AS plan_arn,
    coalesce("line_item_usage_account_id", '') AS usage_account,
    coalesce("product_region", '') AS region,
    coalesce("line_item_currency_code", '') AS currency,
    coalesce("savings_plan_offering_type", '') AS offering_type,
    coalesce("savings_plan_payment_option", '') AS payment_option,
    coalesce("savings_plan_region", '') AS plan_region,
    '' AS plan_family,
    coalesce("savings_plan_start_time", '') AS plan_start,
    coalesce("savings_plan_end_time", '') AS plan_end,
    CASE WHEN "line_item_line_item_type" IN ('SavingsPlanRecurringFee', 'Refund') THEN coalesce("line_item_line_item_description", '') ELSE '' END AS description,
    coalesce("resource_tags_user_karpenter_sh_nodepool", '') AS node_pool_tag,
    coalesce(nullif("resource_tags_aws_eks_cluster_name", ''), nullif("resource_tags_user_eks_cluster_name", ''), '') AS cluster_tag,
    CAST("line_item_usage_start_date" AS VARCHAR) AS starts,
    CAST("line_item_usage_end_date" AS VARCHAR) AS ends,
    coalesce("line_item_usage_amount", 0E0) AS usage_amount,
    coalesce("line_item_unblended_cost", 0E0) AS unblended_cost,
    coalesce("pricing_public_on_demand_cost", 0E0) AS on_demand_cost,
    coalesce("savings_plan_savings_plan_rate", 0E0) AS plan_rate,
    coalesce("savings_plan_savings_plan_effective_cost", 0E0) AS effective_cost,
    coalesce("savings_plan_used_commitment", 0E0) AS used_commitment,
    coalesce("savings_plan_total_commitment_to_date", 0E0) AS total_commitment
  FROM "athenacurcfn_acme"."acme"
  WHERE ("year" = '2026' AND "month" IN ('10') OR "year" = '2026' AND "month" IN ('11') OR "year" = '2027' AND "month" IN ('1', '01'))
    AND ("line_item_usage_start_date" IS NULL OR "line_item_usage_start_date" >= TIMESTAMP '2026-11-01 00:00:00')
    AND ("line_item_line_item_type" IN ('SavingsPlanRecurringFee', 'SavingsPlanCoveredUsage', 'Refund')
      OR "line_item_line_item_type" IN ('Usage', 'DiscountedUsage') AND (
      "line_item_product_code" IN ('AmazonEC2') AND (split_part("line_item_usage_type", ':', 1) IN ('BoxUsage', 'DedicatedUsage', 'HostUsage', 'HostBoxUsage', 'UnusedBox', 'UnusedDed', 'Reservation', 'DedicatedRes', 'HeavyUsage') OR split_part("line_item_usage_type", ':', 1) LIKE '%-BoxUsage' OR split_part("line_item_usage_type", ':', 1) LIKE '%-DedicatedUsage' OR split_part("line_item_usage_type", ':', 1) LIKE '%-HostUsage' OR split_part("line_item_usage_type", ':', 1) LIKE '%-HostBoxUsage' OR split_part("line_item_usage_type", ':', 1) LIKE '%-UnusedBox' OR split_part("line_item_usage_type", ':', 1) LIKE '%-UnusedDed' OR split_part("line_item_usage_type", ':', 1) LIKE '%-Reservation' OR split_part("line_item_usage_type", ':', 1) LIKE '%-DedicatedRes' OR split_part("line_item_usage_type", ':', 1) LIKE '%-HeavyUsage')
      OR "line_item_product_code" IN ('AmazonEC2') AND (split_part("line_item_usage_type", ':', 1) IN ('SpotUsage') OR split_part("line_item_usage_type", ':', 1) LIKE '%-SpotUsage')
      OR "line_item_product_code" IN ('AmazonECS', 'AmazonEKS') AND (split_part("line_item_usage_type", ':', 1) IN ('Fargate-vCPU-Hours', 'Fargate-GB-Hours', 'Fargate-ARM-vCPU-Hours', 'Fargate-ARM-GB-Hours', 'Fargate-Windows-vCPU-Hours', 'Fargate-Windows-GB-Hours') OR split_part("line_item_usage_type", ':', 1) LIKE '%-Fargate-vCPU-Hours' OR split_part("line_item_usage_type", ':', 1) LIKE '%-Fargate-GB-Hours' OR split_part("line_item_usage_type", ':', 1) LIKE '%-Fargate-ARM-vCPU-Hours' OR split_part("line_item_usage_type", ':', 1) LIKE '%-Fargate-ARM-GB-Hours' OR split_part("line_item_usage_type", ':', 1) LIKE '%-Fargate-Windows-vCPU-Hours' OR split_part("line_item_usage_type", ':', 1) LIKE '%-Fargate-Windows-GB-Hours')
      OR "line_item_product_code" IN ('AWSLambda') AND (split_part("line_item_usage_type", ':', 1) IN ('Lambda-GB-Second', 'Lambda-GB-Second-ARM', 'Lambda-Provisioned-Concurrency', 'Lambda-Provisioned-Concurrency-ARM', 'Lambda-Provisioned-GB-Second', 'Lambda-Provisioned-GB-Second-ARM', 'Request', 'Request-ARM') OR split_part("line_item_usage_type", ':', 1) LIKE '%-Lambda-GB-Second' OR split_part("line_item_usage_type", ':', 1) LIKE '%-Lambda-GB-Second-ARM' OR split_part("line_item_usage_type", ':', 1) LIKE '%-Lambda-Provisioned-Concurrency' OR split_part("line_item_usage_type", ':', 1) LIKE '%-Lambda-Provisioned-Concurrency-ARM' OR split_part("line_item_usage_type", ':', 1) LIKE '%-Lambda-Provisioned-GB-Second' OR split_part("line_item_usage_type", ':', 1) LIKE '%-Lambda-Provisioned-GB-Second-ARM' OR split_part("line_item_usage_type", ':', 1) LIKE '%-Request' OR split_part("line_item_usage_type", ':', 1) LIKE '%-Request-ARM')))
),
units AS (
  SELECT line_item_type, usage_type, operation, product_code, plan_arn, usage_account, region, currency, offering_type, payment_option, plan_region, plan_family, plan_start, plan_end, description, node_pool_tag, cluster_tag, starts, ends,
    usage_amount * 1E9 AS usage_nanos,
    unblended_cost * 1E12 AS unblended_picos,
    effective_cost * 1E12 AS effective_picos,
    used_commitment * 1E12 AS used_picos,
    total_commitment * 1E12 AS total_picos,
    CASE WHEN abs(plan_rate) < 1E12 THEN plan_rate END AS plan_rate,
    CASE WHEN unblended_cost > 0E0 AND unblended_cost < 1E12 AND usage_amount > 0E0 AND usage_amount < 92E8 THEN unblended_cost / usage_amount * 1E9 END AS billed,
    CASE WHEN on_demand_cost > 0E0 AND on_demand_cost < 1E12 AND usage_amount > 0E0 AND usage_amount < 92E8 THEN on_demand_cost / usage_amount * 1E9 END AS listed
  FROM items
),
wholes AS (
  SELECT line_item_type, usage_type, operation, product_code, plan_arn, usage_account, region, currency, offering_type, payment_option, plan_region, plan_family, plan_start, plan_end, description, node_pool_tag, cluster_tag, starts, ends,
    CASE WHEN abs(usage_nanos) < 92E17 THEN CAST(floor(usage_nanos) + CASE WHEN usage_nanos - floor(usage_nanos) > 5E-1 THEN 1E0 WHEN usage_nanos - floor(usage_nanos) = 5E-1 THEN abs(mod(floor(usage_nanos), 2E0)) ELSE 0E0 END AS BIGINT) END AS usage_nanos,
    CASE WHEN abs(unblended_picos) < 92E17 THEN CAST(floor(unblended_picos) + CASE WHEN unblended_picos - floor(unblended_picos) > 5E-1 THEN 1E0 WHEN unblended_picos - floor(unblended_picos) = 5E-1 THEN abs(mod(floor(unblended_picos), 2E0)) ELSE 0E0 END AS BIGINT) END AS unblended_picos,
    CASE WHEN abs(effective_picos) < 92E17 THEN CAST(floor(effective_picos) + CASE WHEN effective_picos - floor(effective_picos) > 5E-1 THEN 1E0 WHEN effective_picos - floor(effective_picos) = 5E-1 THEN abs(mod(floor(effective_picos), 2E0)) ELSE 0E0 END AS BIGINT) END AS effective_picos,
    CASE WHEN abs(used_picos) < 92E17 THEN CAST(floor(used_picos) + CASE WHEN used_picos - floor(used_picos) > 5E-1 THEN 1E0 WHEN used_picos - floor(used_picos) = 5E-1 THEN abs(mod(floor(used_picos), 2E0)) ELSE 0E0 END AS BIGINT) END AS used_picos,
    CASE WHEN abs(total_picos) < 92E17 THEN CAST(floor(total_picos) + CASE WHEN total_picos - floor(total_picos) > 5E-1 THEN 1E0 WHEN total_picos - floor(total_picos) = 5E-1 THEN abs(mod(floor(total_picos), 2E0)) ELSE 0E0 END AS BIGINT) END AS total_picos,
    plan_rate,
    (floor(billed) + CASE WHEN billed - floor(billed) >= 5E-1 THEN 1E0 ELSE 0E0 END) / 1E9 AS billed,
    (floor(listed) + CASE WHEN listed - floor(listed) >= 5E-1 THEN 1E0 ELSE 0E0 END) / 1E9 AS listed
  FROM units
)
SELECT line_item_type, usage_type, operation, product_code, plan_arn, usage_account, region, currency, offering_type, payment_option, plan_region, plan_family, plan_start, plan_end, description, node_pool_tag, cluster_tag, starts, ends,
  CASE WHEN usage_nanos IS NULL THEN 'a' ELSE '' END || CASE WHEN unblended_picos IS NULL THEN 'b' ELSE '' END || CASE WHEN effective_picos IS NULL THEN 'c' ELSE '' END || CASE WHEN used_picos IS NULL THEN 'd' ELSE '' END || CASE WHEN total_picos IS NULL THEN 'e' ELSE '' END AS unreadable,
  count(*) AS line_items,
  sum(CAST(usage_nanos AS DECIMAL(38, 0))) AS usage_nanos,
  sum(CAST(unblended_picos AS DECIMAL(38, 0))) AS unblended_picos,
  sum(CAST(effective_picos AS DECIMAL(38, 0))) AS effective_picos,
  sum(CAST(used_picos AS DECIMAL(38, 0))) AS used_picos,
  sum(CAST(total_picos AS DECIMAL(38, 0))) AS total_picos,
  max(plan_rate) AS plan_rate,
  max(coalesce(listed, billed)) AS price,
  max(CASE WHEN billed IS NULL OR listed > billed THEN listed END) AS price_beyond_billed
FROM wholes
GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20
